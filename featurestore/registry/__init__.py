"""From a project's definitions to the catalog: what is exported here is free of Feast; `definitions`, `compile` and `apply` import it."""

from featurestore.registry.catalog_file import load as load_catalog
from featurestore.registry.catalog_file import save as save_catalog
from featurestore.registry.project_file import load_config

__all__ = ["load_catalog", "load_config", "save_catalog"]

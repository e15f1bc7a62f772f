"""Raw input: which files there are, whether they are whole, and their rows as a LazyFrame that knows where each row came from."""

from featurestore.sources.csv_check import CheckedFile, check_files
from featurestore.sources.csv_scan import scan, scan_checked
from featurestore.sources.csv_source import CsvSource
from featurestore.sources.input_files import InputFile, list_files

__all__ = ["CheckedFile", "CsvSource", "InputFile", "check_files", "list_files", "scan", "scan_checked"]

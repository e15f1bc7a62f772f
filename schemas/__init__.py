"""The contracts of the reference project, one pandera model a table."""

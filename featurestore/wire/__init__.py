"""Values and messages as they travel: generated protobuf code and the vectorised codecs between columns, Arrow, Python and bytes.

Import the modules: `arrow` alone needs pyarrow, and the rest must load without it.
"""

"""A library's or a dataset's sounds as files: what is chosen, how it is named, how it is read and written."""

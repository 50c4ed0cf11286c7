"""DataFrame in, DataFrame out: each table a module, with its `COLUMNS`. Input is never changed."""

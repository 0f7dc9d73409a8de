"""Search engines as databases of documents: what OpenSearch and Elasticsearch share, over a connection of either."""

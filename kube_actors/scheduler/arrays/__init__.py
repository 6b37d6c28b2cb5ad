"""The cycle on arrays: nodes are rows, pods of one kind share their work, only changed rows are worked out anew."""

"""The kit of destinations whose tables are files on object stores."""

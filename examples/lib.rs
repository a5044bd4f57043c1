//! Programs that a user of batchloop would start from; each is an example of this package.

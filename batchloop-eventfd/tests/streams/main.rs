//! Streams and their states, on epoll and on io_uring alike.

mod ends;
mod handing_over;
mod place;

//! Sleeping, and the race before it.
#![no_std]
#![no_main]

board::program!(sleep);

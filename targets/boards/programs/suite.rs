//! The suite, on a board.
#![no_std]
#![no_main]

board::program!(suite);

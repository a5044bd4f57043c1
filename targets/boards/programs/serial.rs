//! A serial line.
#![no_std]
#![no_main]

board::program!(serial);

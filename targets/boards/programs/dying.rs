//! A panic.
#![no_std]
#![no_main]

board::program!(dying);

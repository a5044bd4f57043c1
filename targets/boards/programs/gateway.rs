//! The gateway.
#![no_std]
#![no_main]

board::program!(gateway);

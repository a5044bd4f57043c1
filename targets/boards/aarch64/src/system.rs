//! The core: its system registers, its page table, its critical section.

use core::arch::asm;

use aarch64_rt::{InitialPagetable, initial_pagetable};
use critical_section::{Impl, RawRestoreState};

/// A gigabyte each of devices and of memory, mapped to where they are.
const DEVICES: usize = 0x0040_0000_0000_0401;
const MEMORY: usize = 0x4000_0000 | 0xF05;

initial_pagetable!({
    let mut table = [0; 512];
    table[0] = DEVICES;
    table[1] = MEMORY;
    InitialPagetable(table)
});

/// Ticks of the alarm: the generic timer has 62.5 MHz here.
pub(crate) const SOON: u64 = 62_500 * firmware::ALARM as u64;

/// The bit that holds interrupts back.
const HELD_BACK: u64 = 1 << 7;

pub(crate) fn let_interrupts_through() {
    // SAFETY: B2: there is a handler for them.
    unsafe { asm!("msr daifclr, #2") };
}

/// The time, in ticks since the machine was switched on.
pub(crate) fn time() -> u64 {
    let time: u64;
    // SAFETY: B1: the timer's count, which touches no memory.
    unsafe { asm!("isb", "mrs {}, cntpct_el0", out(reg) time) };
    time
}

/// When the alarm goes off.
pub(crate) fn alarm() -> u64 {
    let time: u64;
    // SAFETY: B1: the timer's register, which touches no memory.
    unsafe { asm!("mrs {}, cntp_cval_el0", out(reg) time) };
    time
}

pub(crate) fn set_alarm(time: u64) {
    // SAFETY: B1: the timer's registers, which touch no memory.
    unsafe {
        asm!("msr cntp_cval_el0, {}", "msr cntp_ctl_el0, {}", "isb", in(reg) time, in(reg) 1_u64)
    };
}

pub(crate) fn wait() {
    // SAFETY: B1: it ends when an interrupt is pending, and touches no memory.
    unsafe { asm!("dsb sy", "wfi") };
}

struct HoldInterruptsBack;

critical_section::set_impl!(HoldInterruptsBack);

// SAFETY: B2, B3: one core runs the program, so holding its interrupts back keeps everything else out.
unsafe impl Impl for HoldInterruptsBack {
    unsafe fn acquire() -> RawRestoreState {
        let before: u64;
        // SAFETY: B1: reads whether interrupts are held back, and does so.
        unsafe { asm!("mrs {}, daif", "msr daifset, #2", out(reg) before) };
        before & HELD_BACK == 0
    }

    unsafe fn release(let_through: RawRestoreState) {
        if let_through {
            // SAFETY: B1: as it was before.
            unsafe { asm!("msr daifclr, #2") };
        }
    }
}

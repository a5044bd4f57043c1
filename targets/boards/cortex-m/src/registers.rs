//! The registers that all Cortex-M have, and the handler of the interrupts that they do not share.

use cortex_m_rt::exception;
use firmware::Register;

use crate::Here;

// SAFETY: B1: the system timer's control and status, as the architecture's manual has it.
pub(crate) const SYST_CSR: Register = unsafe { Register::at(0xE000_E010) };
// SAFETY: B1: the system timer's reload value.
pub(crate) const SYST_RVR: Register = unsafe { Register::at(0xE000_E014) };
// SAFETY: B1: the system timer's current value.
pub(crate) const SYST_CVR: Register = unsafe { Register::at(0xE000_E018) };

pub(crate) const NVIC_ISER: [Register; 2] = [
    // SAFETY: B1: lets interrupts 0 to 31 through.
    unsafe { Register::at(0xE000_E100) },
    // SAFETY: B1: lets interrupts 32 to 63 through.
    unsafe { Register::at(0xE000_E104) },
];

/// Every interrupt of the board: only the serial line's is let through.
// SAFETY: B2: the hardware calls it, by the vector table.
#[exception]
unsafe fn DefaultHandler(_: i16) {
    firmware::on_serial::<Here>();
}

use batchloop_core::Driver;

fn main() {}

fn keep(driver: &mut Driver<u8>) {
    let mut kept = None;
    let _ = driver.turn(|cx| kept = Some(cx.arrivals()));
}

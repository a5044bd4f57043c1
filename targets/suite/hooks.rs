//! Hooks: what may reach a state, when, and what it is told if it may not.

use batchloop_core::{
    Capacity, Events, Hook, Machine, Progress, Reaction, SignalError, Step, Turn, machine::Admits,
    point, storage,
};

use crate::{Failure, Report, say};

struct Account<A: batchloop_core::Access> {
    balance: i32,
    deposit: Option<Hook<i32, A>>,
}

const HOOKS: Capacity = Capacity::slots(4).points(2).scopes(0);
storage!(static LOCAL: Account<batchloop_core::Local> = HOOKS);
storage!(static SHARED: Account<batchloop_core::Shared> = HOOKS);

pub(crate) fn run(report: &mut Report<'_>) -> Result<(), Failure> {
    report.section("hooks", "local");
    hooks(report, LOCAL.local()?)?;
    report.section("hooks", "shared");
    hooks(report, SHARED.shared()?)
}

/// Adds to the balance, and wakes the account only if it is not below zero.
fn deposit<A: batchloop_core::Access>(account: &mut Account<A>, amount: i32) -> Reaction {
    account.balance += amount;
    if account.balance < 0 {
        Reaction::Ignore
    } else {
        Reaction::Wake
    }
}

fn entry<A: Admits<Account<A>>>(cx: &mut Turn<'_, Account<A>, A>, report: &mut Report<'_>) {
    let new = cx.arrivals();
    let opened = cx.stage(point!("open"), new).advance(|account, me| {
        let hook = me.hook(deposit::<A>);
        let refused = hook.try_signal(1) == Err(SignalError::Busy(1));
        say!(report, "its own hook is busy while it runs: {refused}");
        account.deposit = Some(hook);
        Step::Next
    });
    cx.stage(point!("serve"), opened).advance(|account, me| {
        say!(
            report,
            "balance {}, events {:?}",
            account.balance,
            me.take_events()
        );
        if account.balance > 100 {
            Step::Release
        } else {
            Step::Wait
        }
    });
}

fn hooks<A: Admits<Account<A>>>(
    report: &mut Report<'_>,
    machine: Machine<Account<A>, A>,
) -> Result<(), Failure> {
    let mut driver = machine.driver()?;
    let account = machine.allocate(Account {
        balance: 0,
        deposit: None,
    })?;
    let _ = driver.turn(|cx| entry(cx, report))?;
    let mut hook = None;
    let copied = machine.signal(account, |account| {
        hook = account.deposit;
        Reaction::Ignore
    });
    say!(report, "a copy of its hook: {}", copied.is_ok());
    let Some(hook) = hook else {
        return Err(Failure::Stale(batchloop_core::Stale));
    };
    for amount in [-5, 2, 10, 20, 200, 1] {
        let answer = hook.signal(amount);
        let progress = driver.turn(|cx| entry(cx, report))?;
        let quiet = progress == Progress::Quiet;
        say!(
            report,
            "deposit {amount}: {answer:?}, quiet afterwards: {quiet}"
        );
    }
    say!(report, "waker of the ended: {:?}", hook.waker().wake());
    let second = machine.allocate(Account {
        balance: 7,
        deposit: None,
    })?;
    say!(
        report,
        "the slot's next tenant keeps what it has: {:?}",
        hook.signal(1)
    );
    let _ = driver.turn(|cx| entry(cx, report))?;
    machine.post(second, Events::READABLE)?;
    machine.post_token(second.token(), Events::DEADLINE)?;
    let _ = driver.turn(|cx| entry(cx, report))?;
    machine.wake(second)?;
    let _ = driver.turn(|cx| entry(cx, report))?;
    say!(report, "cancelled: {:?}", machine.release(second));
    let _ = driver.turn(|cx| entry(cx, report))?;
    say!(report, "{} live", machine.live());
    Ok(())
}

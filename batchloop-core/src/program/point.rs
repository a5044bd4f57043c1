//! Program points: the places where a program may wait.

use core::{fmt, num::NonZeroUsize};

use crate::program::workload::Workload;

/// A place in the program, made by [`point!`](crate::point). Its identity is its address.
///
/// The name is for people only; two points may share one.
#[derive(Debug)]
#[doc(alias = "stage")]
pub struct ProgramPoint {
    name: Option<&'static str>,
    source: &'static Source,
    at_most: Option<NonZeroUsize>,
    line: u32,
    /// As far as it fits: lines are not as long.
    column: u16,
    workload: Workload,
}

/// A module and its source file, which its points share.
#[derive(Debug)]
#[doc(hidden)]
pub struct Source {
    pub module: &'static str,
    pub file: &'static str,
}

impl ProgramPoint {
    #[doc(hidden)]
    pub const fn new(
        name: Option<&'static str>,
        source: &'static Source,
        line: u32,
        column: u32,
    ) -> Self {
        let most = u16::MAX as u32;
        ProgramPoint {
            name,
            source,
            at_most: None,
            line,
            column: if column < most { column } else { most } as u16,
            workload: Workload::IO,
        }
    }

    /// The same point, for this kind of work.
    #[doc(hidden)]
    pub const fn with_workload(mut self, workload: Workload) -> Self {
        self.workload = workload;
        if workload.index() == Workload::CPU.index() {
            self.at_most = NonZeroUsize::new(1);
        }
        self
    }

    /// The same point, with smaller batches than the machine's.
    #[doc(hidden)]
    pub const fn with_at_most(mut self, count: usize) -> Self {
        assert!(count > 0, "`at_most` must be at least 1");
        self.at_most = NonZeroUsize::new(count);
        self
    }

    /// The kind of work that is done behind it.
    pub const fn workload(&self) -> Workload {
        self.workload
    }

    /// How many states a driver takes from it at once, where that is less than the machine's
    /// [`batch`](crate::Capacity::batch).
    pub const fn at_most(&self) -> Option<NonZeroUsize> {
        self.at_most
    }

    /// The name that was given, if any.
    pub const fn name(&self) -> Option<&'static str> {
        self.name
    }

    /// The module that the point stands in.
    pub const fn module(&self) -> &'static str {
        self.source.module
    }

    /// The source file.
    pub const fn file(&self) -> &'static str {
        self.source.file
    }

    /// The line in the file, from 1.
    pub const fn line(&self) -> u32 {
        self.line
    }

    /// The column in the line, from 1.
    pub const fn column(&self) -> u32 {
        self.column as u32
    }
}

impl fmt::Display for ProgramPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.name {
            write!(f, "\"{name}\" ")?;
        }
        write!(f, "({}:{}:{})", self.file(), self.line, self.column)
    }
}

/// Makes the [`ProgramPoint`] of this place in the source.
///
/// ```
/// # use batchloop_core::{Workload, point};
/// point!();
/// point!("receive");
/// point!("compress", Workload::CPU);
/// point!("compress", Workload::CPU, at_most: 4);
/// ```
///
/// Each expansion is one point, also inside a generic function or a loop; a loop tells its rounds apart by the
/// iteration number of [`Context::scope`](crate::Context::scope).
#[macro_export]
macro_rules! point {
    () => {
        $crate::point!(@ $crate::__private::core::option::Option::None)
    };
    ($name:literal) => {
        $crate::point!(@ $crate::__private::core::option::Option::Some($name))
    };
    ($name:literal, $workload:expr) => {
        $crate::point!(@ $crate::__private::core::option::Option::Some($name), with_workload($workload))
    };
    ($name:literal, $workload:expr, at_most: $count:expr) => {
        $crate::point!(
            @ $crate::__private::core::option::Option::Some($name), with_workload($workload), with_at_most($count)
        )
    };
    (@ $name:expr $(, $method:ident($argument:expr))*) => {{
        static BATCHLOOP_POINT: $crate::program::ProgramPoint = $crate::program::ProgramPoint::new(
            $name,
            &$crate::__private::Source {
                module: $crate::__private::core::module_path!(),
                file: $crate::__private::core::file!(),
            },
            $crate::__private::core::line!(),
            $crate::__private::core::column!(),
        )$(.$method($argument))*;
        &BATCHLOOP_POINT
    }};
}

/// A node of the traversal: a program point and an iteration.
#[derive(Clone, Copy, Debug)]
pub struct Site {
    /// The program point.
    pub point: &'static ProgramPoint,
    /// The iteration number, 0 for a stage.
    pub iteration: u32,
}

impl Site {
    pub(crate) fn stage(point: &'static ProgramPoint) -> Self {
        Site {
            point,
            iteration: 0,
        }
    }
}

impl PartialEq for Site {
    fn eq(&self, other: &Self) -> bool {
        core::ptr::eq(self.point, other.point) && self.iteration == other.iteration
    }
}

impl Eq for Site {}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.point)?;
        if self.iteration != 0 {
            write!(f, "[{}]", self.iteration)?;
        }
        Ok(())
    }
}

//! How a loop's counter goes from its start to its bound.

use gpu_kernels::customer_kernel::TURNS_MAX;
use gpu_kernels::number::to;
use naga::BinaryOperator;

use super::interval::Interval;

/// What one turn of a loop does to its counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Never by nothing.
    Add(i64),
    /// By two at least.
    Times(i64),
    /// By two at least.
    Over(i64),
}

impl Step {
    /// By `counter op by`, or by `by op counter`.
    pub(super) fn of(op: BinaryOperator, by: i64, is_left: bool) -> Option<Self> {
        let shifted = || (1..31).contains(&by).then(|| 1i64 << by);
        match op {
            BinaryOperator::Add if by != 0 => Some(Self::Add(by)),
            BinaryOperator::Subtract if by != 0 && is_left => Some(Self::Add(-by)),
            BinaryOperator::Multiply if by >= 2 => Some(Self::Times(by)),
            BinaryOperator::Divide if by >= 2 && is_left => Some(Self::Over(by)),
            BinaryOperator::ShiftLeft if is_left => shifted().map(Self::Times),
            BinaryOperator::ShiftRight if is_left => shifted().map(Self::Over),
            _ => None,
        }
    }

    /// The values that a counter has inside of a loop that goes on while `counter op bound`, and how many turns that are at
    /// most. `any` is what the counter's type can hold: whatever could wrap around is not known.
    pub(super) fn count(
        self,
        any: Interval,
        start: Interval,
        op: BinaryOperator,
        bound: Interval,
    ) -> Option<(Interval, u64)> {
        use BinaryOperator as Op;
        let is_up = matches!(self, Self::Times(_)) || matches!(self, Self::Add(by) if by > 0);
        // Where a loop ends at one value alone, it has to come to it.
        let meets =
            |by: i64| start.least == start.most && bound.least == bound.most && (bound.least - start.least) % by == 0;
        let last = match (op, is_up, self) {
            (Op::Less, true, _) => bound.most - 1,
            (Op::LessEqual, true, _) => bound.most,
            (Op::Greater, false, _) => bound.least + 1,
            (Op::GreaterEqual, false, _) => bound.least,
            (Op::NotEqual, true, Self::Add(by)) if meets(by) && start.least <= bound.least => bound.most - 1,
            (Op::NotEqual, false, Self::Add(by)) if meets(by) && start.least >= bound.least => bound.least + 1,
            // Halved often enough, everything that is not negative is nothing.
            (Op::NotEqual, false, Self::Over(_)) if bound == Interval::one(0) => 1,
            _ => return None,
        };
        let (first, values) = if is_up {
            (start.least, Interval { least: start.least, most: last.max(start.most) })
        } else {
            (start.most, Interval { least: last.min(start.least), most: start.most })
        };
        let stays = match self {
            Self::Add(_) => true,
            Self::Times(_) => first >= 1,
            Self::Over(_) => last >= 1 && start.least >= 0,
        };
        if !stays || !self.beyond(values).is_within(any) {
            return None;
        }
        let turns = match self {
            Self::Add(by) => {
                u64::try_from((last - first) / by + 1).ok().filter(|_| (last - first) * by >= 0).unwrap_or(0)
            }
            Self::Times(by) => geometric(first, |value| value <= last, |value| value * by),
            Self::Over(by) => geometric(first, |value| value >= last, |value| value / by),
        };
        (turns < u64::from(TURNS_MAX)).then_some((values, turns))
    }

    /// With the value after the last turn.
    pub(super) fn beyond(self, Interval { least, most }: Interval) -> Interval {
        match self {
            Self::Add(by) => Interval { least: least + by.min(0), most: most + by.max(0) },
            Self::Times(by) => Interval { least, most: most * by },
            Self::Over(_) => Interval { least: 0, most },
        }
    }
}

fn geometric(first: i64, goes_on: impl Fn(i64) -> bool, next: impl Fn(i64) -> i64) -> u64 {
    to(std::iter::successors(Some(first), |value| Some(next(*value))).take_while(|value| goes_on(*value)).count())
}

pub(super) fn negated(op: BinaryOperator) -> Option<BinaryOperator> {
    match op {
        BinaryOperator::Less => Some(BinaryOperator::GreaterEqual),
        BinaryOperator::LessEqual => Some(BinaryOperator::Greater),
        BinaryOperator::Greater => Some(BinaryOperator::LessEqual),
        BinaryOperator::GreaterEqual => Some(BinaryOperator::Less),
        BinaryOperator::Equal => Some(BinaryOperator::NotEqual),
        BinaryOperator::NotEqual => Some(BinaryOperator::Equal),
        _ => None,
    }
}

/// The same with its sides changed.
pub(super) fn mirrored(op: BinaryOperator) -> BinaryOperator {
    match op {
        BinaryOperator::Less => BinaryOperator::Greater,
        BinaryOperator::LessEqual => BinaryOperator::GreaterEqual,
        BinaryOperator::Greater => BinaryOperator::Less,
        BinaryOperator::GreaterEqual => BinaryOperator::LessEqual,
        other => other,
    }
}

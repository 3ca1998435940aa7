//! What an integer can be, from the least to the greatest.

use naga::{BinaryOperator, Literal, Scalar, TypeInner};

/// Every value that something can have, from the least to the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interval {
    pub(super) least: i64,
    pub(super) most: i64,
}

impl Interval {
    pub(super) const U32: Self = Self { least: 0, most: u32::MAX as i64 };
    pub(super) const I32: Self = Self { least: i32::MIN as i64, most: i32::MAX as i64 };

    pub(super) fn one(value: i64) -> Self {
        Self { least: value, most: value }
    }

    pub(super) fn is_within(self, other: Self) -> bool {
        other.least <= self.least && self.most <= other.most
    }

    pub(super) fn min(self, other: Self) -> Self {
        Self { least: self.least.min(other.least), most: self.most.min(other.most) }
    }

    pub(super) fn max(self, other: Self) -> Self {
        Self { least: self.least.max(other.least), most: self.most.max(other.most) }
    }
}

pub(super) fn of_scalar(inner: &TypeInner) -> Option<Interval> {
    match *inner {
        TypeInner::Scalar(Scalar::U32) => Some(Interval::U32),
        TypeInner::Scalar(Scalar::I32) => Some(Interval::I32),
        _ => None,
    }
}

pub(super) fn of_literal(literal: Literal) -> Option<Interval> {
    match literal {
        Literal::U32(value) => Some(Interval::one(value.into())),
        Literal::I32(value) => Some(Interval::one(value.into())),
        _ => None,
    }
}

/// `None` where it may be anything.
pub(super) fn of_binary(op: BinaryOperator, one: Interval, other: Interval) -> Option<Interval> {
    let corners = |f: fn(i64, i64) -> i64| {
        let values =
            [f(one.least, other.least), f(one.least, other.most), f(one.most, other.least), f(one.most, other.most)];
        Some(Interval { least: values.into_iter().min()?, most: values.into_iter().max()? })
    };
    let is_natural = one.least >= 0;
    match op {
        BinaryOperator::Add => corners(|a, b| a + b),
        BinaryOperator::Subtract => corners(|a, b| a - b),
        BinaryOperator::Multiply => corners(i64::saturating_mul),
        BinaryOperator::Divide if other.least >= 1 => corners(|a, b| a / b),
        BinaryOperator::Modulo if other.least >= 1 && is_natural => {
            Some(Interval { least: 0, most: one.most.min(other.most - 1) })
        }
        // What is negative has its highest bit set.
        BinaryOperator::And if is_natural || other.least >= 0 => {
            let most = |values: Interval| if values.least >= 0 { values.most } else { i64::MAX };
            Some(Interval { least: 0, most: most(one).min(most(other)) })
        }
        BinaryOperator::ShiftRight if is_natural && other.least >= 0 && other.most < 32 => {
            Some(Interval { least: one.least >> other.most, most: one.most >> other.least })
        }
        BinaryOperator::ShiftLeft if is_natural && other.least >= 0 && other.most < 31 => {
            Some(Interval { least: one.least << other.least, most: one.most << other.most })
        }
        _ => None,
    }
}

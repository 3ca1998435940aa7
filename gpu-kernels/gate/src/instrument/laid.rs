//! A function's new expressions.

use naga::{Arena, Expression, Handle, Literal, Span};

use crate::operands::map_operands;

#[derive(Default)]
pub(super) struct Laid {
    pub(super) expressions: Arena<Expression>,
    /// How deep each lies as it is written; 0 for one that has a name.
    pub(super) depths: Vec<u32>,
    literals: Vec<(Literal, Handle<Expression>)>,
}

impl Laid {
    pub(super) fn append(&mut self, expression: Expression) -> Handle<Expression> {
        self.append_at(expression, Span::UNDEFINED)
    }

    pub(super) fn append_at(&mut self, expression: Expression, span: Span) -> Handle<Expression> {
        self.depths.push(self.depth(&expression));
        self.expressions.append(expression, span)
    }

    /// How many brackets lie around the innermost operand; what is loaded or called has a name of its own.
    fn depth(&self, expression: &Expression) -> u32 {
        let mut deepest = None;
        if !matches!(expression, Expression::Load { .. }) {
            // Every kind that comes here was mapped once.
            map_operands(expression, |operand| {
                deepest = deepest.max(Some(self.depths[operand.index()]));
                operand
            });
        }
        deepest.map_or(0, |depth| depth + 1)
    }

    pub(super) fn word(&mut self, value: u32) -> Handle<Expression> {
        self.literal(Literal::U32(value))
    }

    pub(super) fn literal(&mut self, literal: Literal) -> Handle<Expression> {
        let known = self.literals.iter().find(|(known, _)| *known == literal);
        if let Some((_, place)) = known {
            return *place;
        }
        let place = self.append(Expression::Literal(literal));
        self.literals.push((literal, place));
        place
    }
}

//! Rules that hold for every expression and every value.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use pointsman_expression::{AttributesOnly, Expression, Place, Scope, Value};
use proptest::prelude::*;

use crate::check;
use crate::fixtures::{NOW_MS, Queue, Worker};
use crate::generators::{attributes, config, expression, token_soup, value};

const DAY_MS: i64 = 86_400_000;

fn parse(text: &str) -> Expression {
    Expression::parse(text).unwrap_or_else(|error| panic!("{}", error.caret(text)))
}

fn hash(expression: &Expression) -> u64 {
    let mut hasher = DefaultHasher::new();
    expression.hash(&mut hasher);
    hasher.finish()
}

proptest! {
    #![proptest_config(config(2_000))]

    #[test]
    fn printing_then_parsing_is_the_identity(text in expression()) {
        let expression = parse(&text);
        let printed = expression.to_string();
        let again = parse(&printed);
        prop_assert_eq!(&again, &expression);
        prop_assert_eq!(hash(&again), hash(&expression));
        prop_assert_eq!(again.to_string(), printed);
    }

    #[test]
    fn any_text_is_parsed_or_refused_with_its_place(text in any::<String>(), soup in token_soup()) {
        check::parse(&text);
        check::parse(&soup);
    }

    #[test]
    fn evaluation_is_total_and_a_constant_is_what_every_scope_says(
        text in expression(),
        task in attributes(),
        worker in attributes(),
        now_ms in any::<i64>(),
    ) {
        let expression = parse(&text);
        let worker = Worker { attributes: worker };
        let only = AttributesOnly(&worker.attributes);
        let scopes = [
            Scope::worker(&worker),
            Scope::worker(&only),
            Scope::filter(&task, now_ms),
            Scope::target(&task, &worker, now_ms),
            Scope::skip_if(&task, &Queue, now_ms),
            Scope::task(&task),
        ];
        for scope in &scopes {
            let outcome = expression.eval(scope);
            if let Some(constant) = expression.as_constant() {
                prop_assert_eq!(outcome, constant);
            }
        }
    }

    #[test]
    fn what_a_task_leaves_of_an_expression_decides_as_the_whole(
        text in expression(),
        task in attributes(),
        workers in proptest::collection::vec(attributes(), 4),
        now_ms in NOW_MS..NOW_MS + 7 * DAY_MS,
    ) {
        let expression = parse(&text);
        let rest = expression.specialize(&task);
        for attributes in workers {
            let worker = Worker { attributes };
            let whole = expression.eval(&Scope::target(&task, &worker, now_ms));
            prop_assert_eq!(rest.eval(&Scope::remainder(&worker, now_ms)), whole, "{} left of {}", rest, expression);
        }
        prop_assert!(!rest.reads(Place::Target).task);
        prop_assert_eq!(&rest.specialize(&Value::Null), &rest);
        match rest.as_constant() {
            None => prop_assert_eq!(&parse(&rest.to_string()), &rest),
            Some(outcome) => prop_assert_eq!(rest.to_string(), if outcome { "1 == 1" } else { "1 == 0" }),
        }
    }

    #[test]
    fn attributes_that_are_not_read_have_no_say(text in expression(), attributes in attributes()) {
        let expression = parse(&text);
        let reads = expression.reads(Place::Worker);
        prop_assume!(!reads.worker_object);
        let object = attributes.as_object().expect("generated as one");
        let kept = object.iter().filter(|(key, _)| reads.worker_attributes.contains(*key));
        let kept = Value::Object(kept.map(|(key, value)| (key.into(), value.clone())).collect());
        let (whole, pruned) = (Worker { attributes: attributes.clone() }, Worker { attributes: kept });
        prop_assert_eq!(expression.eval(&Scope::worker(&whole)), expression.eval(&Scope::worker(&pruned)));
    }

    #[test]
    fn a_value_survives_its_json(value in value()) {
        prop_assert_eq!(Value::parse_json(&value.to_string()).unwrap(), value);
    }

    #[test]
    fn doubles_survive_their_text(double in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL) {
        let value = Value::parse_json(&format!("{double:e}")).unwrap();
        prop_assert_eq!(value.as_number().unwrap().as_f64().to_bits(), double.to_bits());
        let text = format!("{value} == {value} AND {value} CONTAINS {value}");
        prop_assert_eq!(parse(&text).as_constant(), Some(true));
    }

    #[test]
    fn the_order_of_numbers_is_that_of_their_values(left in number(), right in number()) {
        let ordering = left.0.partial_cmp(&right.0).unwrap();
        let (left, right) = (json_number(&left.1), json_number(&right.1));
        prop_assert_eq!(left.cmp(&right), ordering);
        prop_assert_eq!(left == right, ordering.is_eq());
    }
}

/// A number as a pair of 128-bit halves (whole part, and whether a half is added), and as text.
fn number() -> impl Strategy<Value = ((i128, bool), String)> {
    let whole = prop_oneof![
        (-4i128..4),
        (i128::from(i64::MIN)..i128::from(i64::MIN) + 2),
        (i128::from(i64::MAX) - 2..i128::from(i64::MAX) + 3),
        (i128::from(u64::MAX) - 2..i128::from(u64::MAX) + 1),
    ];
    whole
        .prop_map(|whole| ((whole, false), whole.to_string()))
        .boxed()
        .prop_union((0i128..1_000_000).prop_map(|whole| ((whole, true), format!("{whole}.5"))).boxed())
}

fn json_number(text: &str) -> pointsman_expression::Number {
    Value::parse_json(text).unwrap().as_number().unwrap()
}

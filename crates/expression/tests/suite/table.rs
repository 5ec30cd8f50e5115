//! The test table of the reference, row by row. Reference: routing, section 1.9.

use pointsman_expression::{Expression, Scope};

use crate::fixtures::{NOW_MS, Queue, Worker, task};

/// `number place outcome expression`; E88 has an empty expression.
const TABLE: &str = r#"
E01 X2 true 1 == 1
E02 X2 true 0 != 1
E03 X2 false 1==0
E04 X2 true "apple" != "orange"
E05 X2 true type == 'ticket'
E06 X2 true type == "ticket"
E07 X2 true type = 'ticket'
E08 X2 false type == 'Ticket'
E09 X2 true type == 'ticket' AND customer_value == 'Gold'
E10 X2 true type == 'lead' OR vip == true
E11 X2 true type == 'lead' AND vip == true OR lvl == 3
E12 X2 false type == 'lead' AND (vip == true OR lvl == 3)
E13 X2 true NOT type == 'lead'
E14 X2 false NOT (type == 'ticket' AND vip == true)
E15 X2 false customer_value IN ['Silver','Bronze']
E16 X2 true customer_value in ["Gold"]
E17 X2 true customer_value NOT IN ['Silver','Bronze']
E18 X2 false type IN []
E19 X2 true type NOT IN []
E20 X2 true object.array[0] == "a"
E21 X2 true object.array[2] == 'c'
E22 X2 true object.array[9] == null
E23 X2 true object.attr == "bar"
E24 X2 true object.array HAS 'b'
E25 X2 true 'b' IN object.array
E26 X2 false object.array == 'a'
E27 X2 false object.array != 'zzz'
E28 X2 true object.array != null
E29 X2 true object != null
E30 X2 false object == 'x'
E31 X2 true rows[1].k == 'v2'
E32 X2 true rows[1].zz == null
E33 X2 true missing == null
E34 X2 true none == null
E35 X2 true missing != 'x'
E36 X2 false missing == 'x'
E37 X2 false missing == false
E38 X2 true missing != true
E39 X2 false missing > 0
E40 X2 false missing IN ['a']
E41 X2 true missing NOT IN ['a']
E42 X2 false type IN missing
E43 X2 false type NOT IN missing
E44 X2 false missing HAS 'a'
E45 X2 false missing CONTAINS 'a'
E46 X2 true empty == ''
E47 X2 true empty != null
E48 X2 true lvl >= 3
E49 X2 false lvl > 3
E50 X2 true score >= 5.1
E51 X2 true lvl == 3.0
E52 X2 false lvl == "3"
E53 X2 true lvl != "3"
E54 X2 true zip > 2000
E55 X2 false zip == 2134
E56 X2 false type > 5
E57 X2 true lvl > -1
E58 X2 true vip == true
E59 X2 false vip == 'true'
E60 X2 true vip == TRUE
E61 X2 true type CONTAINS 'tick'
E62 X2 false langs CONTAINS 'en'
E63 X2 true langs HAS 'en'
E64 X2 false lang HAS 'en'
E65 X2 false lang IN "english"
E66 X2 true nums HAS 2
E67 X2 false nums HAS '2'
E68 X2 true 2 IN nums AND 9 NOT IN nums
E69 X2 true q == "it's"
E70 X2 true q == 'it\'s'
E71 X2 true task.type == 'ticket'
E72 X2 false worker.level == 7
E73 X2 true taskrouter.currentTime > 0800 AND taskrouter.currentTime < 1830
E74 X2 false taskrouter.currentHour > 8
E75 X2 true taskrouter.currentHour == 8
E76 X2 true taskrouter.dayOfWeek IN ['Mon','TUE']
E77 X2 false taskrouter.currentTime > 2200 AND taskrouter.currentTime < 600
E78 X1 true (skills HAS 'support') AND (languages HAS 'english')
E79 X1 false skills HAS 'sales'
E80 X1 true level >= 5 AND team == 'north'
E81 X1 true ratings.finance == 10
E82 X1 true worker.activity_name in ['Available','High Value']
E83 X1 true friendly_name == 'ann'
E84 X1 syntax-error skill-level > 3
E85 X1 syntax-error level
E86 X1 syntax-error level >
E87 X1 false level HAS 'x'
E88 X1 absent
E89 X3 true task.need IN worker.skills
E90 X3 true worker.skills HAS task.need
E91 X3 true worker.sid IN task.preferred
E92 X3 false worker.sid NOT IN task.absent
E93 X3 true worker.sid != task.ignoreAgent
E94 X3 false worker.channel.voice.available_capacity_percentage == 100
E95 X3 false worker.channel.voice.assigned_tasks == 0
E96 X3 true worker.channel.chat.assigned_tasks <= 1
E97 X3 true worker.channel.chat.available_capacity_percentage == 33
E98 X3 true worker.channel.sms.available_capacity_percentage == 0
E99 X3 false worker.channel.fax.assigned_tasks == 0
E100 X3 false level == 7
E101 X3 true worker.email CONTAINS '@acme.test'
E102 X3 true 1==1
E103 X4 false workers.available == 0
E104 X4 true workers.available < 3 AND workers.unavailable == 2
E105 X4 true workers.WA01 < 2 OR workers.WA99 > 0
E106 X4 true 1==1
E107 X7 true activity_name contains 'vail'
E108 X7 true sid == 'WK01' and level > 1
E109 X8 true customer_value == "Gold"
E110 X2 syntax-error type == 'ticket' && vip == true
"#;

#[test]
fn every_row_of_the_reference_table_holds() {
    let rows: Vec<&str> = TABLE.trim().lines().collect();
    assert_eq!(rows.len(), 110);
    let wrong: Vec<String> = rows.iter().enumerate().filter_map(|(index, row)| fault(index, row)).collect();
    assert_eq!(wrong, Vec::<String>::new());
}

/// What is wrong with a row.
fn fault(index: usize, row: &str) -> Option<String> {
    let mut fields = row.splitn(4, ' ');
    let mut field = || fields.next().unwrap_or_default();
    let (number, place, expected, text) = (field(), field(), field(), field());
    assert_eq!(number, format!("E{:02}", index + 1));
    let found = outcome(place, text);
    (found != expected).then(|| format!("{row}: {found}"))
}

fn outcome(place: &str, text: &str) -> String {
    let expression = match Expression::parse_optional(text) {
        Ok(Some(expression)) => expression,
        Ok(None) => return "absent".to_owned(),
        Err(_) => return "syntax-error".to_owned(),
    };
    let (task, worker, queue) = (task(), Worker::ann(), Queue);
    let scope = match place {
        "X1" | "X7" => Scope::worker(&worker),
        "X2" => Scope::filter(&task, NOW_MS),
        "X3" => Scope::target(&task, &worker, NOW_MS),
        "X4" => Scope::skip_if(&task, &queue, NOW_MS),
        "X8" => Scope::task(&task),
        _ => unreachable!("the table names no other place"),
    };
    let result = expression.eval(&scope);
    if place == "X3" {
        assert_eq!(expression.specialize(&task).eval(&Scope::remainder(&worker, NOW_MS)), result, "{text}");
    }
    result.to_string()
}

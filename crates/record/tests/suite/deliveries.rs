//! What is to be sent, as it stands in the outbox.

use std::sync::Arc;

use pointsman_engine::{EventKind, Sid, Timestamp};
use pointsman_record::delivery::{About, Content, Delivery, DeliveryFailure, VoiceStep, decode, encode};

use crate::samples;

fn contents() -> Vec<Content> {
    let event = |kind| Arc::new(samples::full_public_event(kind, 1));
    let about = About { sid: [7; 16], reservation: Sid::from_bytes([8; 16]), at: Timestamp(1_760_000_000_123) };
    let form = vec![("To".into(), "+15550100".into()), ("Twiml".into(), "".into())];
    let steps = [
        VoiceStep::CallWorker,
        VoiceStep::MoveCaller,
        VoiceStep::CallCustomer,
        VoiceStep::Redirect,
        VoiceStep::Supervise,
        VoiceStep::HangUp,
        VoiceStep::RedirectOnly,
    ];
    let mut contents = vec![
        Content::Event(event(EventKind::TaskUpdated)),
        Content::Assignment { event: event(EventKind::ReservationCreated), fallback_url: None },
        Content::Assignment { event: event(EventKind::ReservationCreated), fallback_url: Some("https://b".into()) },
        Content::Report { form: None, about },
        Content::Report { form: Some(Vec::new()), about },
        Content::Report { form: Some(form.clone()), about },
    ];
    contents.extend(steps.map(|step| Content::Voice { step, form: form.clone(), about }));
    contents
}

fn delivery(content: Content) -> Delivery {
    Delivery {
        workspace: Sid::from_bytes([1; 16]),
        account: Sid::from_bytes([2; 16]),
        url: "https://app.example.org/events".into(),
        content,
        failure: None,
    }
}

#[test]
fn every_content_reads_back_the_same() {
    for content in contents() {
        let whole = delivery(content);
        assert_eq!(decode(&encode(&whole)).unwrap(), whole);
        let failure =
            Some(DeliveryFailure { attempts: 3, reason: "answered with status 500".into(), status: Some(500) });
        let failed = Delivery { failure, ..whole };
        assert_eq!(decode(&encode(&failed)).unwrap(), failed);
    }
}

#[test]
fn an_assignment_its_voice_steps_and_its_reports_stand_in_lines_of_their_own() {
    let reservation = Sid::from_bytes([8; 16]);
    let about = About { sid: [7; 16], reservation, at: Timestamp(0) };
    let voice = delivery(Content::Voice { step: VoiceStep::HangUp, form: Vec::new(), about }).line();
    let report = delivery(Content::Report { form: None, about }).line();
    assert_ne!(voice, report);
    assert!(![voice, report].contains(&reservation.bytes()));
}

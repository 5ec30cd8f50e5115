//! The measure of all things: axum, a form in, JSON out, and nothing in between.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

pub(crate) fn run() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("echo ready on http://{}", listener.local_addr()?);
        axum::serve(listener, Router::new().fallback(echo)).await?;
        Ok(())
    })
}

async fn echo(body: Bytes) -> impl IntoResponse {
    let form: BTreeMap<_, _> = form_urlencoded::parse(&body).collect();
    ([(CONTENT_TYPE, "application/json")], serde_json::to_string(&form).expect("text is JSON"))
}

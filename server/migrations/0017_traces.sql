-- W3C Trace Context of the call that asked, and the events that a callback is wanted for; null: all of them.
alter table consultation_requests add column traceparent text check (char_length(traceparent) <= 160),
  add column callback_events text[];
-- Sent with the callback.
alter table deliveries add column traceparent text;

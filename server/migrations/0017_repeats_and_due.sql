-- Under which Idempotency-Key the act was done that a step-up was used for: the same proof lets the repetition be answered.
alter table step_ups add column idempotency_key text;
create index step_ups_by_idempotency_key on step_ups (organization_id, user_id, idempotency_key)
  where idempotency_key is not null;

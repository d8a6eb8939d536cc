-- What an answer has beside its values: files, and the name of the person at that time.

alter table consultation_answers
  -- As the wire has them: [{id, name, media_type, size, sha256}]; null: none.
  add column attachments json,
  -- As it was when they answered, so that what was reported of it stays what it was. Empty: they had none, or it was erased. Null in
  -- answers from before it was kept: their callbacks did not name anybody either, and are sent again as they were.
  add column responder_name text check (char_length(responder_name) <= 255);

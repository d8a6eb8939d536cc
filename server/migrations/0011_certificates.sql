-- What was asked as a digest, each decision as a signed certificate, and its use, which happens at most once.

alter table consultation_requests
  -- SHA-256 over the RFC 8785 JSON of what was asked; null in rows that are older, where it is computed when they are read.
  add column digest bytea,
  -- Compact JWS over the decision (consultations/certificate.ts), as it was issued.
  add column certificate text,
  add column certificate_expires_at timestamptz(3),
  add column redeemed_at timestamptz(3);

-- Not validated against older rows, in which all four are null: no scan of a large table under a lock.
alter table consultation_requests
  add constraint digest_length check (octet_length(digest) = 32) not valid,
  add constraint certified_when_decided check (certificate is null or decision is not null) not valid,
  add constraint certificate_expires check ((certificate is null) = (certificate_expires_at is null)) not valid,
  add constraint redeemed_when_approved check (redeemed_at is null or (decision = 'approve' and certificate is not null)) not valid;

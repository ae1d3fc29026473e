-- A copy of a database must reach nobody: accounts are emptied and closed.
UPDATE member_gateway
   SET state = 'paused',
       pause_reason = 'Neutralised copy of a database: nothing is sent.',
       api_key = NULL,
       api_secret = NULL,
       twilio_key_sid = NULL,
       twilio_key_secret = NULL,
       generic_url = NULL,
       generic_headers = NULL,
       generic_body = NULL,
       generic_secret_value = NULL,
       callback_secret = md5(random()::text || id::text)
 WHERE provider != 'sandbox';
-- what waited in the original is the original's to send
UPDATE member_service_message SET state = 'cancelled' WHERE state = 'queued';

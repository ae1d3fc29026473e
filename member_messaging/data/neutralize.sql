-- A copy of a database must reach nobody: accounts are emptied and closed.
UPDATE member_gateway
   SET state = 'paused',
       pause_reason = 'Neutralised copy of a database: nothing is sent.',
       api_key = NULL,
       api_secret = NULL,
       callback_secret = md5(random()::text || id::text)
 WHERE provider != 'sandbox';

-- A record with its content and, if it is the first that has it, its signature: one statement stores them all. As three,
-- within a transaction, each would be told to the runtime by itself, and wake it while the next one is at work.
-- What is temporary is the connection's own: in the file there are the tables alone.
CREATE TEMP VIEW whole_record AS SELECT
    NULL AS id,
    NULL AS recorded_at,
    NULL AS direction,
    NULL AS instance,
    NULL AS member_class,
    NULL AS member_code,
    NULL AS subsystem_code,
    NULL AS query_id,
    NULL AS request_id,
    NULL AS signature_digest,
    NULL AS key_id,
    NULL AS message,
    NULL AS signature_id,
    NULL AS chain_result,
    NULL AS chain,
    NULL AS document;

CREATE TEMP TRIGGER store_whole_record INSTEAD OF INSERT ON whole_record BEGIN
    INSERT INTO record (id, recorded_at, direction, instance, member_class, member_code, subsystem_code, query_id,
            request_id, signature_digest)
        VALUES (NEW.id, NEW.recorded_at, NEW.direction, NEW.instance, NEW.member_class, NEW.member_code,
            NEW.subsystem_code, NEW.query_id, NEW.request_id, NEW.signature_digest);
    INSERT INTO content (record_id, key_id, message, signature_id, chain_result, chain)
        VALUES (NEW.id, NEW.key_id, NEW.message, NEW.signature_id, NEW.chain_result, NEW.chain);
    INSERT INTO signature (id, document) SELECT NEW.signature_id, NEW.document WHERE NEW.document IS NOT NULL;
END;

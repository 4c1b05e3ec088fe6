-- Whether a service has a word is looked up for each service that another word finds.
DROP INDEX catalog_word_service;
CREATE INDEX catalog_word_service ON catalog_word (service, word);

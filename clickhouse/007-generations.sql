-- Kafka's id of the topic that a source number stands for; empty: not known (older broker, or registered before this).
ALTER TABLE sources ADD COLUMN IF NOT EXISTS topic_id String DEFAULT '';

WITH RECURSIVE numbers(number) AS (
  SELECT 1 UNION ALL SELECT 1 FROM numbers WHERE number < 2
)
SELECT count(*) AS number FROM numbers

WITH RECURSIVE numbers(number) AS (
  SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < 10000000
)
SELECT number FROM numbers

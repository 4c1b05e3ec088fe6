-- 10,000 people who do not exist, always the same: sqlite3 people.db < data/sqlite.sql
-- A personal number is the sex (1 female, 2 male), the date of birth as ddmmyyyy and a serial number.
CREATE TABLE people (
  pin TEXT PRIMARY KEY,
  surname TEXT NOT NULL,
  name TEXT NOT NULL,
  patronymic TEXT,
  birth_date TEXT NOT NULL,
  sex TEXT NOT NULL CHECK (sex IN ('female', 'male')),
  citizenship TEXT NOT NULL,
  marital_status TEXT NOT NULL CHECK (marital_status IN ('single', 'married', 'divorced', 'widowed')),
  region TEXT NOT NULL,
  district TEXT NOT NULL,
  settlement TEXT NOT NULL,
  registered_on TEXT NOT NULL,
  died_on TEXT
);
CREATE INDEX people_surname ON people (surname, pin);

INSERT INTO people
WITH RECURSIVE numbers(number) AS (
  SELECT 0 UNION ALL SELECT number + 1 FROM numbers WHERE number < 9999
),
surnames(number, surname) AS (VALUES
  (0, 'Асанов'), (1, 'Токтогулов'), (2, 'Сыдыков'), (3, 'Абдыраев'), (4, 'Жумабеков'), (5, 'Мамытов'),
  (6, 'Осмонов'), (7, 'Бейшеналиев'), (8, 'Кадыров'), (9, 'Эсенов'), (10, 'Турдубаев'), (11, 'Орозов'),
  (12, 'Исаков'), (13, 'Шаршеев'), (14, 'Дуйшеев'), (15, 'Алиев'), (16, 'Усенов'), (17, 'Молдобаев'), (18, 'Чыныбаев')
),
names(number, female, male) AS (VALUES
  (0, 'Айгуль', 'Азамат'), (1, 'Бермет', 'Бакыт'), (2, 'Гүлнара', 'Данияр'), (3, 'Жылдыз', 'Эркин'),
  (4, 'Нургүл', 'Нурлан'), (5, 'Чолпон', 'Таалай'), (6, 'Мээрим', 'Улан'), (7, 'Назгүл', 'Канат'),
  (8, 'Асель', 'Айбек'), (9, 'Бүбүсара', 'Мирлан'), (10, 'Салтанат', 'Руслан')
),
fathers(number, father) AS (VALUES
  (0, 'Асан'), (1, 'Болот'), (2, 'Талант'), (3, 'Марат'), (4, 'Жолдош'), (5, 'Кубат'), (6, 'Садыр')
),
places(number, region, district, settlement) AS (VALUES
  (0, 'Чүй', 'Аламүдүн', 'Лебединовка'), (1, 'Чүй', 'Сокулук', 'Шопоков'), (2, 'Ош', 'Кара-Суу', 'Кара-Суу'),
  (3, 'Ош', 'Өзгөн', 'Өзгөн'), (4, 'Нарын', 'Ат-Башы', 'Ат-Башы'), (5, 'Нарын', 'Кочкор', 'Кочкор'),
  (6, 'Талас', 'Бакай-Ата', 'Бакай-Ата'), (7, 'Жалал-Абад', 'Сузак', 'Сузак'), (8, 'Ысык-Көл', 'Тоң', 'Бөкөнбаев'),
  (9, 'Ысык-Көл', 'Жети-Өгүз', 'Кызыл-Суу'), (10, 'Баткен', 'Кадамжай', 'Кадамжай')
),
people_numbered AS (
  SELECT number, (number * 37) % 25000 AS days, number % 2 = 0 AS is_female FROM numbers
)
SELECT
  CASE WHEN is_female THEN '1' ELSE '2' END || strftime('%d%m%Y', date('1940-01-01', days || ' days')) || printf('%05d', people_numbered.number),
  surname || CASE WHEN is_female THEN 'а' ELSE '' END,
  CASE WHEN is_female THEN female ELSE male END,
  CASE WHEN people_numbered.number % 9 <> 0 THEN father || CASE WHEN is_female THEN 'овна' ELSE 'ович' END END,
  date('1940-01-01', days || ' days'),
  CASE WHEN is_female THEN 'female' ELSE 'male' END,
  CASE WHEN people_numbered.number % 97 = 0 THEN 'KAZ' ELSE 'KGZ' END,
  CASE people_numbered.number % 5 WHEN 0 THEN 'single' WHEN 1 THEN 'divorced' WHEN 2 THEN 'widowed' ELSE 'married' END,
  region,
  district,
  settlement,
  date('1940-01-01', (days + 5844) || ' days'),
  CASE WHEN people_numbered.number % 23 = 0 AND days < 10000 THEN date('1940-01-01', (days + 20000) || ' days') END
-- CROSS JOIN keeps the order: left to itself, SQLite pairs the lists with each other first, which takes a hundred times longer.
FROM people_numbered
CROSS JOIN surnames ON surnames.number = people_numbered.number % 19
CROSS JOIN names ON names.number = people_numbered.number % 11
CROSS JOIN fathers ON fathers.number = people_numbered.number % 7
CROSS JOIN places ON places.number = (people_numbered.number / 3) % 11;

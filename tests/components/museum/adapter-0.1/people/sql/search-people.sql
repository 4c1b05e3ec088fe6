SELECT pin, surname, name, patronymic, birth_date, sex
FROM people
WHERE surname >= :surname_from AND surname < :surname_before
  AND pin > :after
  AND (:name IS NULL OR name = :name)
  AND (:patronymic IS NULL OR patronymic = :patronymic)
  AND (:sex IS NULL OR sex = :sex)
  AND (:born_from IS NULL OR birth_date >= :born_from)
  AND (:born_to IS NULL OR birth_date <= :born_to)
  AND (:citizenship IS NULL OR citizenship = :citizenship)
  AND (:marital_status IS NULL OR marital_status = :marital_status)
  AND (:region IS NULL OR region = :region)
  AND (:district IS NULL OR district = :district)
  AND (:settlement IS NULL OR settlement = :settlement)
  AND (:registered_from IS NULL OR registered_on >= :registered_from)
  AND (:registered_to IS NULL OR registered_on <= :registered_to)
  AND (:alive IS NULL OR (died_on IS NULL) = :alive)
ORDER BY pin
LIMIT :rows

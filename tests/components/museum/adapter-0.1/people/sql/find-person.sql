SELECT pin, surname, name, patronymic, birth_date, sex FROM people WHERE pin = :pin

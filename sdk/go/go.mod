module uuk/adapter

go 1.24

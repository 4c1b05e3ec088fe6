// The register of people.
package main

import "uuk/adapter"

func answerGet(request GetRequest) (GetResponse, error) {
	person, err := FindPerson(FindPersonParams{Pin: request.Pin})
	if err != nil {
		return GetResponse{}, err
	}
	if person == nil {
		return GetResponse{}, adapter.NotFound(GetPersonNotFound, "nobody bears this number")
	}
	return GetResponse{
		Pin:        person.Pin,
		Surname:    person.Surname,
		Name:       person.Name,
		Patronymic: person.Patronymic,
		BirthDate:  person.BirthDate,
		Sex:        person.Sex,
	}, nil
}

const pageSizeDefault = 50

func answerSearch(request SearchRequest) (SearchResponse, error) {
	pageSize := int64(pageSizeDefault)
	if request.PageSize != nil {
		pageSize = *request.PageSize
	}
	after := ""
	if request.After != nil {
		after = *request.After
	}
	rows, err := SearchPeople(SearchPeopleParams{
		// Every text that begins with the surname, and no other, lies between these two.
		SurnameFrom:    request.Surname,
		SurnameBefore:  request.Surname + "\U0010FFFF",
		Name:           request.Name,
		Patronymic:     request.Patronymic,
		Sex:            request.Sex,
		BornFrom:       request.BornFrom,
		BornTo:         request.BornTo,
		Citizenship:    request.Citizenship,
		MaritalStatus:  request.MaritalStatus,
		Region:         request.Region,
		District:       request.District,
		Settlement:     request.Settlement,
		RegisteredFrom: request.RegisteredFrom,
		RegisteredTo:   request.RegisteredTo,
		Alive:          request.Alive,
		After:          after,
		// One more than the page holds: whether it comes tells whether there is a next page.
		Rows: pageSize + 1,
	})
	if err != nil {
		return SearchResponse{}, err
	}
	response := SearchResponse{People: []SearchPerson{}}
	for at, row := range rows {
		if int64(at) == pageSize {
			response.Next = &rows[at-1].Pin
			break
		}
		response.People = append(response.People, SearchPerson(row))
	}
	return response, nil
}

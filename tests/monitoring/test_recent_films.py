from hilum.monitoring.recent_films import RecentFilms


def test_a_film_counts_as_repeated_from_the_third_time_on():
    films = RecentFilms()
    assert [films.note("a") for _ in range(4)] == [False, False, True, True]
    assert films.note("b") is False


def test_only_the_last_films_are_remembered():
    films = RecentFilms(memory=2)
    for digest in ("a", "a", "b", "c"):
        assert films.note(digest) is False
    assert films.note("a") is False  # forgotten: two others came since

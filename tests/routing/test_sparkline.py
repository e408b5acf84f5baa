from routing.admin.sparkline import HEIGHT, sparkline


def test_a_line_goes_from_left_to_right_and_high_is_high():
    drawn = sparkline([1, 2], "растёт")

    assert f'd="M2.0 {HEIGHT / 2:.1f}h.01L118.0 2.0"' in drawn


def test_a_gap_parts_the_line():
    assert sparkline([1, None, 1], "").count("M") == 2


def test_zeros_lie_at_the_bottom():
    assert f"M2.0 {HEIGHT - 2:.1f}h.01" in sparkline([0, 0], "")


def test_nothing_is_drawn_of_nothing():
    assert sparkline([None, None], "ничего") == ""


def test_it_is_told_in_words_and_these_are_text():
    assert 'aria-label="&lt;b&gt;"' in sparkline([1], "<b>")

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <stdint.h>
#include <stdio.h>

#define DAY_S	     86400
#define YEAR_0_S     (-62167219200ll) /* 0000-01-01T00:00:00Z */
#define YEAR_10000_S 253402300800ll

/*
 * Days since 1970-01-01 to a date of the proleptic Gregorian calendar. The year is taken to begin
 * on the first of March, so that the leap day is its last: then a month's first day is (153 * m +
 * 2) / 5.
 */
static void civil_date(int64_t days, int *ret_year, int *ret_month, int *ret_day)
{
	const int64_t shifted = days + 719468; /* days since 0000-03-01 */
	const int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
	const int64_t day_of_era = shifted - era * 146097;
	const int64_t year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	const int64_t day_of_year =
		day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	const int64_t month = (5 * day_of_year + 2) / 153; /* 0: March */

	*ret_day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
	*ret_month = (int)(month < 10 ? month + 3 : month - 9);
	*ret_year = (int)(year_of_era + era * 400 + (month >= 10));
}

const char *clock_rfc3339(const struct timespec *when, bool fraction,
			  char text[static CLOCK_TEXT_MAX])
{
	int64_t s = when->tv_sec < YEAR_0_S	   ? YEAR_0_S
		    : when->tv_sec >= YEAR_10000_S ? YEAR_10000_S - 1
						   : when->tv_sec;
	int64_t days = s / DAY_S;
	int year, month, day, n;

	s %= DAY_S;
	if (s < 0) {
		s += DAY_S;
		days--;
	}
	civil_date(days, &year, &month, &day);
	n = snprintf(text, CLOCK_TEXT_MAX, "%04d-%02d-%02dT%02d:%02d:%02d", year, month, day,
		     (int)(s / 3600), (int)(s / 60 % 60), (int)(s % 60));
	if (fraction && when->tv_nsec) {
		n += snprintf(text + n, (size_t)(CLOCK_TEXT_MAX - n), ".%09ld", when->tv_nsec);
		while (text[n - 1] == '0')
			n--;
	}
	text[n] = 'Z';
	text[n + 1] = '\0';
	return text;
}

int64_t clock_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#pragma once
// Closed classes of English words, as the readers of clauses ask for them. Lower case.

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>

namespace memory::facts {

inline bool one_of(std::string_view word, std::initializer_list<std::string_view> list) {
    return std::ranges::find(list, word) != list.end();
}

bool is_be(std::string_view word);
bool is_auxiliary(std::string_view word);
bool is_article(std::string_view word);
bool is_preposition(std::string_view word);
bool is_determiner(std::string_view word);
/// Says no more of a job or a flat than "a" does.
bool is_slight(std::string_view word);
bool is_possessive(std::string_view word);
bool is_colour(std::string_view text);
std::string lowered(std::string_view text);
/// "Call me", "you can reach Ann": not in the verbs, being nouns as often.
bool is_contact_verb(std::string_view word);
bool is_contacted(std::string_view word);
/// What has a number or an address: "line", "mailbox".
bool is_contact_noun(std::string_view word);
/// An address of mail, a number of a telephone; empty: neither, so no way to reach anybody.
std::string_view contact_predicate(std::string_view value);
/// Values that point elsewhere, and beginnings of clauses.
bool is_no_object(std::string_view word);

}  // namespace memory::facts

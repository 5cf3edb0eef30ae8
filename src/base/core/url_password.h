#pragma once
// URLs as they may be shown: in logs, errors and printed configurations.

#include <string>
#include <string_view>

namespace base {

/// `url` with "***" for its password, whether it stands before the host or is a parameter of the
/// query. Rather hides too much of an odd URL than too little; a text that is no URL stays.
std::string without_password(std::string_view url);

}  // namespace base

#include "base/core/url_password.h"

#include <algorithm>
#include <array>

namespace base {
namespace {

constexpr std::string_view kHidden = "***";
constexpr std::array<std::string_view, 3> kSecretParameters{"password=", "sslpassword=", "pass="};

void hide_parameter(std::string& url, std::string_view name) {
    for (std::size_t at = url.find('?'); at < url.size();) {
        at = url.find(name, at + 1);
        if (at == std::string::npos) return;
        if (url[at - 1] != '?' && url[at - 1] != '&') continue;
        const std::size_t begin = at + name.size();
        const std::size_t end = std::min(url.find('&', begin), url.size());
        url.replace(begin, end - begin, kHidden);
    }
}

}  // namespace

std::string without_password(std::string_view url) {
    std::string shown(url);
    const std::size_t scheme = shown.find("://");
    if (scheme == std::string::npos) return shown;
    const std::size_t user = scheme + 3;
    // The last "@": a password that was not escaped may have some of its own.
    const std::size_t host = shown.rfind('@');
    const std::size_t password = shown.find(':', user);
    if (host != std::string::npos && password != std::string::npos && password < host) {
        shown.replace(password + 1, host - password - 1, kHidden);
    }
    for (const std::string_view name : kSecretParameters) hide_parameter(shown, name);
    return shown;
}

}  // namespace base

#include "base/http/curl_library.h"

#include <dlfcn.h>

#include "base/core/check.h"

namespace base {
namespace {

constexpr const char* kName = "libcurl.so.4";  // the only ABI that libcurl has had since 2006

std::unexpected<Error> not_loaded(const char* words) {
    return fail_on(kName, Code::failed_precondition,
                   "{} cannot be used, which fetching from the network needs: {}; install it (on "
                   "Debian the package libcurl4)",
                   kName, words != nullptr ? words : "no reason given");
}

Result<CurlLibrary> load() {
    void* library = ::dlopen(kName, RTLD_NOW | RTLD_LOCAL);  // stays until the process ends
    if (library == nullptr) return not_loaded(::dlerror());
    CurlLibrary curl;
    const char* missing = nullptr;
    const auto find = [&]<class Function>(const char* name, Function& function) {
        function = reinterpret_cast<Function>(::dlsym(library, name));
        if (function == nullptr) missing = name;
    };
    decltype(&::curl_global_init) global_init = nullptr;
    find("curl_global_init", global_init);
    find("curl_easy_init", curl.easy_init);
    find("curl_easy_cleanup", curl.easy_cleanup);
    find("curl_easy_reset", curl.easy_reset);
    find("curl_easy_perform", curl.easy_perform);
    find("curl_easy_strerror", curl.easy_strerror);
    find("curl_slist_append", curl.slist_append);
    find("curl_slist_free_all", curl.slist_free_all);
    find("curl_easy_setopt", curl.easy_setopt);
    find("curl_easy_getinfo", curl.easy_getinfo);
    if (missing != nullptr) return not_loaded(missing);
    if (global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return not_loaded("it cannot be set up");
    return curl;
}

}  // namespace

const Result<CurlLibrary>& curl_library() {
    static const Result<CurlLibrary> loaded = load();
    return loaded;
}

const CurlLibrary& curl() {
    const Result<CurlLibrary>& loaded = curl_library();
    DG_CHECK(loaded, "libcurl is used before it was loaded");
    return *loaded;
}

}  // namespace base

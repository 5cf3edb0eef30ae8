#pragma once
// libcurl, loaded when somebody first makes an HttpClient. It brings thirty libraries of its own
// (TLS, LDAP, Kerberos, ...), a third of the time in which the program starts, and a server that
// has its model never needs it. Included by client.cc only.

#include <curl/curl.h>

#include "base/core/result.h"

namespace base {

/// The functions that client.cc calls, under their own names.
struct CurlLibrary {
    decltype(&::curl_easy_init) easy_init = nullptr;
    decltype(&::curl_easy_cleanup) easy_cleanup = nullptr;
    decltype(&::curl_easy_reset) easy_reset = nullptr;
    decltype(&::curl_easy_perform) easy_perform = nullptr;
    decltype(&::curl_easy_strerror) easy_strerror = nullptr;
    decltype(&::curl_slist_append) slist_append = nullptr;
    decltype(&::curl_slist_free_all) slist_free_all = nullptr;
    CURLcode (*easy_setopt)(CURL*, CURLoption, ...) = nullptr;
    CURLcode (*easy_getinfo)(CURL*, CURLINFO, ...) = nullptr;
};

/// Loads the library and sets it up, once. Thread-safe. Errors: failed_precondition (it is not
/// installed, or lacks a function: says what the system said).
const Result<CurlLibrary>& curl_library();
/// Pre: curl_library() has succeeded.
const CurlLibrary& curl();

}  // namespace base

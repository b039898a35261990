# SPDX-License-Identifier: Apache-2.0
# The description of the server's API becomes a source of the serving area.
file(GLOB openapi_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/serving/openapi/*)
set(openapi_source ${PROJECT_BINARY_DIR}/openapi_file.cc)
add_custom_command(
  OUTPUT ${openapi_source}
  COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tools/embed_openapi.py ${PROJECT_SOURCE_DIR}/src/serving/openapi
    ${openapi_source}
  DEPENDS ${openapi_files} ${PROJECT_SOURCE_DIR}/tools/embed_openapi.py ${PROJECT_SOURCE_DIR}/tools/embed_page.py
  VERBATIM)
target_sources(plait_serving PRIVATE ${openapi_source})

{{/*
Names and labels. Everything the chart makes begins with soundquarry.fullname, so that two releases in one namespace
share nothing.
*/}}

{{/*
The name of the release's objects: a DNS-1035 label of at most 34 characters.
A release called "talks" has "talks-soundquarry", one called "soundquarry" has just that. What cannot stay as it is (too
long, dots, a digit in front) keeps 23 characters and gets 10 of its hash, so that two long names stay two names.
Why 34: KubeRay allows a RayJob 47 characters, and the longest one here is <fullname>-<10 digits of a CronJob's run>-r.
*/}}
{{- define "soundquarry.fullname" -}}
{{- $word := default .Chart.Name .Values.nameOverride -}}
{{- $usual := eq .Release.Name $word | ternary $word (printf "%s-%s" .Release.Name $word) -}}
{{- $wanted := default $usual .Values.fullnameOverride -}}
{{- $name := regexReplaceAll "^([0-9])" (regexReplaceAll "[^-a-z0-9]+" $wanted "-") "sq-${1}" -}}
{{- if or (ne $name $wanted) (gt (len $name) 34) -}}
{{- $name = printf "%s-%s" (trunc 23 $name | trimSuffix "-") (sha256sum $wanted | trunc 10) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{/* What selects the release's pods. */}}
{{- define "soundquarry.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Labels of every object. */}}
{{- define "soundquarry.labels" -}}
{{ include "soundquarry.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}
